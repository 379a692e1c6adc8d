// @tus/server with its S3 store, as its README sets it up; listens on loopback.
const { Server } = require("@tus/server");
const { S3Store } = require("@tus/s3-store");

const given = JSON.parse(process.argv[2]);
const datastore = new S3Store({
  partSize: given.partSize,
  s3ClientConfig: {
    bucket: given.bucket,
    region: given.region,
    endpoint: given.endpoint,
    forcePathStyle: true,
    credentials: { accessKeyId: given.accessKeyId, secretAccessKey: given.secretAccessKey },
  },
});
new Server({ path: "/files", datastore }).listen({ host: "127.0.0.1", port: given.port });

// Where the page reads a package from: slices of the ZIP, in constant memory.

const CHUNK = 4 << 20;
const MAX_RECORD = 256 << 20;
const MAX_LINE = 4 << 20;
/** Up to this size a file is hashed by WebCrypto in one piece. */
const AT_ONCE = 8 << 20;

class Source {
  constructor(file, layout) {
    this.file = file;
    this.faults = layout.faults;
    this.foreign = layout.foreign;
    this.reader = new WindowedReader(file, CHUNK);
    this.places = new Map();
    layout.members.forEach(({ name, size, crc }, number) => {
      this.places.set(name, { start: layout.starts[number], size, crc });
    });
    this.names = [...this.places.keys()];
  }

  has(name) {
    return this.places.has(name);
  }

  /** The bytes of ``name`` in pieces. */
  async *chunks(name) {
    const { start, size } = this.places.get(name) ?? refuse("not there");
    if (start + size > this.file.size) refuse("the ZIP ends too early");
    for (let place = start; place < start + size; place += CHUNK) {
      const end = Math.min(place + CHUNK, start + size);
      yield new Uint8Array(await this.file.slice(place, end).arrayBuffer());
    }
  }

  async read(name) {
    if (this.has(name) && this.places.get(name).size > MAX_RECORD) refuse(`larger than ${MAX_RECORD} bytes`);
    const pieces = [];
    for await (const chunk of this.chunks(name)) pieces.push(chunk);
    return concat(...pieces);
  }

  /** The lines of ``name`` without their newlines; an unfinished last one too. */
  async *lines(name) {
    let rest = new Uint8Array();
    for await (const chunk of this.chunks(name)) {
      const bytes = rest.length ? concat(rest, chunk) : chunk;
      let start = 0;
      for (let end; (end = bytes.indexOf(10, start)) >= 0; start = end + 1) yield bytes.subarray(start, end);
      rest = bytes.slice(start);
      if (rest.length > MAX_LINE) refuse(`a line longer than ${MAX_LINE} bytes`);
    }
    if (rest.length) yield rest;
  }

  /** Read every file once: its SHA-256, its size, and whether its CRC is as announced. */
  async measure(progress) {
    const measured = new Map();
    let done = 0;
    for (const name of this.names) {
      try {
        measured.set(name, await this.measureOne(name));
      } catch (error) {
        measured.set(name, { unreadable: reasonOf(error) });
      }
      done += this.places.get(name).size;
      progress(done);
    }
    return measured;
  }

  async measureOne(name) {
    const { start, size, crc } = this.places.get(name);
    if (size <= AT_ONCE) {
      // Files stand side by side, so one window holds many small ones.
      const bytes = await this.reader.at(start, size);
      if (bytes.length !== size) refuse("the ZIP ends too early");
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      return { sha256: toHex(digest), size, crcGood: crc32(bytes) === crc };
    }
    const digest = new Sha256();
    let sum = 0;
    for await (const chunk of this.chunks(name)) {
      digest.update(chunk);
      sum = crc32(chunk, sum);
    }
    return { sha256: toHex(digest.digest()), size, crcGood: sum === crc };
  }

  /** SHA-256 of the ZIP itself, in hex. */
  async whole() {
    const digest = new Sha256();
    for (let place = 0; place < this.file.size; place += CHUNK) {
      digest.update(new Uint8Array(await this.file.slice(place, place + CHUNK).arrayBuffer()));
    }
    return toHex(digest.digest());
  }
}

/** The reason in an error that tells of the package; any other one is a fault of this page. */
function reasonOf(error) {
  if (error instanceof Refused) return error.message;
  if (error instanceof DOMException) return `${error.name}: ${error.message}`;
  throw error;
}

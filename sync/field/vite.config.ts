// Builds the field app into server/static/field/, with its service worker and licence notices.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const TARGET = process.env["LIUHEN_FIELD_TARGET"] ?? join(HERE, "../../server/static/field");

/** Files below `folder`, by names with forward slashes. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}

/** Writes into sw.js which files make the app, and a version that names their content. */
function shell(): Plugin {
  return {
    name: "liuhen-shell",
    apply: "build",
    closeBundle() {
      const files = filesBelow(TARGET).filter((name) => name !== "sw.js" && name !== "licenses.txt");
      const digest = createHash("sha256");
      for (const name of files) digest.update(name).update("\0").update(readFileSync(join(TARGET, name)));
      const worker = join(TARGET, "sw.js");
      const code = readFileSync(worker, "utf8");
      digest.update(code);
      const made = code.replace(/\b__SHELL__\b/, () =>
        JSON.stringify({ version: digest.digest("hex").slice(0, 16), files }),
      );
      if (made === code) this.error("sw.js has no place for the list of files");
      writeFileSync(worker, made);
    },
  };
}

interface Locked {
  readonly dev?: boolean;
  readonly version?: string;
  readonly license?: string;
}

/** licenses.txt: the notices of every package of which code is delivered. */
function licences(): Plugin {
  return {
    name: "liuhen-licences",
    apply: "build",
    generateBundle() {
      const lock = JSON.parse(readFileSync(join(HERE, "package-lock.json"), "utf8")) as {
        packages: Record<string, Locked>;
      };
      const notices = Object.entries(lock.packages)
        .filter(([path, entry]) => path !== "" && entry.dev !== true)
        .map(([path, entry]) => {
          const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
          const folder = join(HERE, path);
          const file = existsSync(folder)
            ? readdirSync(folder).find((one) => /^(licen[cs]e|copying)/i.test(one))
            : undefined;
          if (file === undefined) return this.error(`${name} comes without its licence`);
          const text = readFileSync(join(folder, file), "utf8").trim();
          return `${name} ${entry.version ?? ""} (${entry.license ?? ""})\n\n${text}\n`;
        });
      this.emitFile({
        type: "asset",
        fileName: "licenses.txt",
        source: notices.join(`\n${"-".repeat(72)}\n\n`),
      });
    },
  };
}

const TEXTS = /^virtual:texts\/(zh|en)$/;

/** One language of the catalogue at a time: nobody waits for the one that they do not read. */
function texts(): Plugin {
  return {
    name: "liuhen-texts",
    resolveId: (id) => (TEXTS.test(id) ? `\0${id}` : null),
    load(id) {
      const language = TEXTS.exec(id.slice(1))?.[1];
      if (!id.startsWith("\0") || language === undefined) return null;
      const file = join(HERE, "../catalogue/field.json");
      this.addWatchFile(file);
      const both = JSON.parse(readFileSync(file, "utf8")) as Record<string, Record<string, string>>;
      const one = Object.entries(both).map(([key, text]) => [key, text[language]]);
      return `export default JSON.parse(${JSON.stringify(JSON.stringify(Object.fromEntries(one)))})`;
    },
  };
}

export default defineConfig(({ mode }) => ({
  root: HERE,
  base: "/app/",
  plugins: [texts(), licences(), shell()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es" },
  server: { fs: { allow: [join(HERE, "..")] }, proxy: { "/api": "http://127.0.0.1:8000" } },
  build: {
    outDir: TARGET,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      input: {
        index: join(HERE, "index.html"),
        sw: join(HERE, "src/sw.ts"),
        // The engine without screens, which only the browser tests open.
        ...(mode === "harness" ? { harness: join(HERE, "test/harness.html") } : {}),
      },
      output: {
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
}));

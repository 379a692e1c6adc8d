// IndexedDB as promises: strict transactions, a connection that is opened again when it was lost.
import { Failure } from "./failures";
import { DATABASE, MIGRATIONS, type Migration, type Rows, type StoreName } from "./schema";

/** One transaction. Only its own requests may be awaited in it, or it ends by itself. */
export class Transaction {
  constructor(private readonly transaction: IDBTransaction) {}

  get<K extends StoreName>(store: K, key: IDBValidKey): Promise<Rows[K] | undefined> {
    return done<Rows[K] | undefined>(this.transaction.objectStore(store).get(key));
  }

  all<K extends StoreName>(
    store: K,
    query?: IDBValidKey | IDBKeyRange | null,
    count?: number,
  ): Promise<Rows[K][]> {
    return done<Rows[K][]>(this.transaction.objectStore(store).getAll(query, count));
  }

  /** Rows by an index, in its order. */
  by<K extends StoreName>(
    store: K,
    index: string,
    query?: IDBValidKey | IDBKeyRange | null,
    count?: number,
  ): Promise<Rows[K][]> {
    return done<Rows[K][]>(this.transaction.objectStore(store).index(index).getAll(query, count));
  }

  /** The primary keys of rows by an index: cheap where rows are large. */
  keysBy(store: StoreName, index: string, query: IDBKeyRange): Promise<IDBValidKey[]> {
    return done(this.transaction.objectStore(store).index(index).getAllKeys(query));
  }

  /** Every primary key of a store. */
  keys(store: StoreName): Promise<IDBValidKey[]> {
    return done(this.transaction.objectStore(store).getAllKeys());
  }

  count(store: StoreName, index?: string, query?: IDBValidKey | IDBKeyRange): Promise<number> {
    const source = this.transaction.objectStore(store);
    return done(index === undefined ? source.count(query) : source.index(index).count(query));
  }

  /** The last row by an index. */
  async last<K extends StoreName>(
    store: K,
    index: string,
    query?: IDBKeyRange,
  ): Promise<Rows[K] | undefined> {
    const source = this.transaction.objectStore(store).index(index);
    const cursor = await done(source.openCursor(query, "prev"));
    return cursor === null ? undefined : (cursor.value as Rows[K]);
  }

  put<K extends StoreName>(store: K, row: Rows[K]): void {
    this.transaction.objectStore(store).put(row);
  }

  /** Fails the transaction if there is such a row already. */
  add<K extends StoreName>(store: K, row: Rows[K]): void {
    this.transaction.objectStore(store).add(row);
  }

  delete(store: StoreName, key: IDBValidKey | IDBKeyRange): void {
    this.transaction.objectStore(store).delete(key);
  }

  clear(store: StoreName): void {
    this.transaction.objectStore(store).clear();
  }
}

type Work<T> = (transaction: Transaction) => Promise<T>;

export class Database {
  private connection: Promise<IDBDatabase> | null = null;

  constructor(
    private readonly name: string = DATABASE,
    private readonly migrations: readonly Migration[] = MIGRATIONS,
  ) {}

  /** Where the connection is lost in the middle, it is opened anew and read again. */
  async read<T>(stores: readonly StoreName[], work: Work<T>): Promise<T> {
    try {
      return await this.run(stores, "readonly", work);
    } catch (error) {
      if (!(error instanceof Failure && error.code === "storage.lost")) throw error;
      return this.run(stores, "readonly", work);
    }
  }

  /** All of `work` or nothing; answers when it is on the disk. */
  write<T>(stores: readonly StoreName[], work: Work<T>): Promise<T> {
    return this.run(stores, "readwrite", work);
  }

  /** When the app comes back to the front: phones take the connection away meanwhile. */
  async revive(): Promise<void> {
    await this.read(["meta"], (tx) => tx.count("meta"));
  }

  async close(): Promise<void> {
    const connection = await this.connection;
    this.connection = null;
    connection?.close();
  }

  private async run<T>(
    stores: readonly StoreName[],
    mode: IDBTransactionMode,
    work: Work<T>,
  ): Promise<T> {
    const transaction = await this.begin(stores, mode);
    const ended = completed(transaction);
    // Whoever awaits `work` first learns of its error; this one must not go unheard meanwhile.
    ended.catch(() => undefined);
    let result: T;
    try {
      result = await work(new Transaction(transaction));
    } catch (error) {
      abort(transaction);
      throw this.noted(explained(transaction.error ?? error));
    }
    try {
      await ended;
    } catch (error) {
      throw this.noted(error);
    }
    return result;
  }

  /** A connection that was lost is of no more use, whether or not the browser closed it. */
  private noted(error: unknown): unknown {
    if (error instanceof Failure && error.code === "storage.lost") this.drop();
    return error;
  }

  private drop(): void {
    const lost = this.connection;
    this.connection = null;
    lost?.then((connection) => connection.close()).catch(() => undefined);
  }

  private async begin(
    stores: readonly StoreName[],
    mode: IDBTransactionMode,
  ): Promise<IDBTransaction> {
    for (let attempt = 1; ; attempt++) {
      this.connection ??= this.open();
      try {
        const connection = await this.connection;
        return connection.transaction([...stores], mode, { durability: "strict" });
      } catch (error) {
        // Phones take the connection away in the background: open it once more.
        this.connection = null;
        if (attempt > 1 || error instanceof Failure) throw explained(error);
      }
    }
  }

  private open(): Promise<IDBDatabase> {
    const newest = this.migrations.at(-1)?.version ?? 1;
    return new Promise((resolve, reject) => {
      const request = indexedDB.open(this.name, newest);
      request.onupgradeneeded = (event) => {
        const { transaction } = request;
        if (transaction !== null) this.migrate(request.result, transaction, event.oldVersion);
      };
      request.onblocked = () => reject(new Failure("storage.blocked", "open in another tab"));
      request.onerror = () => reject(explained(request.error));
      request.onsuccess = () => {
        const connection = request.result;
        // Another tab has a newer version of the app: let it have the database.
        connection.onversionchange = () => connection.close();
        connection.onclose = () => {
          this.connection = null;
        };
        resolve(connection);
      };
    });
  }

  private migrate(database: IDBDatabase, transaction: IDBTransaction, from: number): void {
    for (const migration of this.migrations) {
      if (migration.version <= from) continue;
      migration.apply(database, transaction);
      transaction
        .objectStore("migrations")
        .put({ version: migration.version, atMs: Date.now() } satisfies Rows["migrations"]);
    }
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(explained(request.error));
  });
}

function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(explained(transaction.error));
  });
}

function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It has ended already.
  }
}

function explained(error: unknown): unknown {
  if (error instanceof Failure) return error;
  const name = error instanceof DOMException ? error.name : "";
  if (name === "QuotaExceededError") return new Failure("storage.full", "", { cause: error });
  // Another tab has made the database newer than this version of the app can read.
  if (name === "VersionError") return new Failure("storage.blocked", "", { cause: error });
  if (name === "InvalidStateError" || name === "UnknownError" || name === "AbortError") {
    return new Failure("storage.lost", String(error), { cause: error });
  }
  return error;
}

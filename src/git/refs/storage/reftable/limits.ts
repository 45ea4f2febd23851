/** Limits of what is read in process; git reads stacks beyond them. */
export const STACK_LIMITS = {
  /** Bytes of `tables.list`. */
  listBytes: 64 * 1024,
  /** Tables of a stack. git keeps about as many as its size has binary digits. */
  tables: 100,
  /** Bytes of a table; git's own limit of positions is 4 GiB. */
  tableBytes: 2 ** 31,
  /** Bytes of a block. git writes 4 KiB, unless `reftable.blockSize` is set. */
  blockBytes: 1024 * 1024,
  /** Bytes of the names of a block without their compression. */
  nameBytes: 2 * 1024 * 1024,
  /** Blocks that are read one after another, in a table or a level of its index. */
  linearBlocks: 64,
  /** Levels of an index. With two blocks each, 2^20 blocks have fewer. */
  levels: 20,
  /** Tables up to this size are kept in memory as a whole. */
  wholeBytes: 16 * 1024,
  /** Bytes of an encoded advertisement: some 400,000 references. */
  advertisedBytes: 32 * 1024 * 1024,
  /** Tables up to this size have their blocks of references kept in the cache. */
  keptBytes: 1024 * 1024,
  /** Bytes of the marks of a table's checked blocks, a bit each. */
  markBytes: 64 * 1024,
  /** Attempts to open a stack whose tables are removed meanwhile. */
  attempts: 5,
} as const;

/** Sizes of the caches, each for all repositories of a server. */
export const STACK_CACHES = {
  /** Bytes of decoded blocks. */
  blockBytes: 8 * 1024 * 1024,
  /** Bytes of tables that are kept as a whole. */
  stackBytes: 16 * 1024 * 1024,
  /** Stacks, some 500 bytes each. */
  stacks: 10_000,
} as const;

/**
 * True where a socket can read a descriptor that the runtime has not opened itself. One of Bun
 * accepts it and then delivers neither data nor an end.
 */
export const READS_DESCRIPTORS = process.versions.bun === undefined;

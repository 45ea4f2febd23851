/**
 * True where a socket can read a descriptor that the runtime has not opened. Bun accepts one, but
 * then delivers neither data nor an end.
 */
export const READS_DESCRIPTORS = process.versions.bun === undefined;

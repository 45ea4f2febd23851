/**
 * Size of bulk data in one message (Gitaly: streamio.WriteBufferSize). Servers accept up to 4 MiB.
 */
export const WRITE_BUFFER_BYTES = 128 * 1024;

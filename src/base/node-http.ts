/**
 * Functions of `node:http`. An `import` of that module reads all its exports, also those that Node
 * loads at first use (`WebSocket` and others). They are parts of undici, which costs 10 MB.
 */
export const { createServer, request } = process.getBuiltinModule('node:http');

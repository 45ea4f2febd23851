/**
 * Functions of `node:http`. An `import` of that module reads all its exports, also those that Node
 * loads at first use (`WebSocket` and others). They are parts of undici, which costs 10 MB and
 * 40 ms.
 */
export const { Agent, createServer, request, STATUS_CODES } = process.getBuiltinModule('node:http');

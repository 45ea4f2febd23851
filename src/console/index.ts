/** Pages for people about a server and its repositories. */
export { Console, type ConsoleOptions } from './console.ts';

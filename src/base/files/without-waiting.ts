import { constants } from 'node:fs';

/**
 * Flags to open a file of a repository for reading in the event loop. A named pipe in its place has
 * no content then, instead of blocking the process until another one writes to it.
 */
export const WITHOUT_WAITING = constants.O_RDONLY | constants.O_NONBLOCK;

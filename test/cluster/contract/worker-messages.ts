/** Asked before a call; answered with its number when it may go on. */
export const BEGIN = 'contract: call begins';
/** Asked with this number at the end of a call. */
export const END = 'contract: call ends';
/** Told with each line of the log. */
export const LOG = 'contract: log';

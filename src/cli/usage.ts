/** What stands below a complaint about the command line. */
export const WRONG_USAGE = 'Add --help to see what is accepted, with examples.';

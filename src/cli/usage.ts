/** Text below an error of the command line. */
export const WRONG_USAGE = 'Add --help to see the accepted options, with examples.';

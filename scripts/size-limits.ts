/** Largest number of lines of a source file, and of a test file. */
export const MAX_FILE_LINES = 450;
export const MAX_TEST_FILE_LINES = 500;
/** Largest number of lines of a file that only connects services: logic belongs to other modules. */
export const MAX_WIRING_FILE_LINES = 60;
/** Largest number of lines of a function, with its signature; those inside it count. */
export const MAX_FUNCTION_LINES = 60;
/** Largest number of `if`, `for`, `while`, `switch` and `try` around each other in a function. */
export const MAX_NESTING = 4;
/** Largest number of lines of a module's README: one screen. */
export const MAX_README_LINES = 50;

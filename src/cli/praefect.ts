import { praefectArguments, praefectProgram } from './programs/praefect-program.ts';
import { runProgram } from './programs/run-program.ts';

// Exit codes: 0 success, 1 failure, 2 wrong usage.
await runProgram(praefectProgram, praefectArguments);

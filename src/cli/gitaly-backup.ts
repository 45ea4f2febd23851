import { withDoubleDashes, withoutFlagValues } from '#base/go/double-dashes';
import { gitalyBackupProgram } from './programs/gitaly-backup-program.ts';
import { runProgram } from './programs/run-program.ts';

// Exit codes of Gitaly 19.0: 0 for success, 1 for all failures, also of some repositories.
await runProgram(gitalyBackupProgram, (args, commands) => {
  const options = commands.flatMap(({ options }) => options);
  const namesOf = (some: typeof options): string[] => some.map(({ long }) => long?.slice(2) ?? '');
  const flags = namesOf(options.filter((option) => option.isBoolean()));
  const long = withDoubleDashes(args, new Set([...namesOf(options), 'version', 'help']));
  return withoutFlagValues(long, new Set(flags));
});

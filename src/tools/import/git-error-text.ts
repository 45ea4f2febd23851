import { maskUrlCredentials } from '#platform/log/mask-urls';

const MAX_LINES = 4;
/** Matches progress and messages that do not describe the cause. */
const NOISE =
  /^(Cloning into|To fd::|remote: (Enumerating|Counting|Compressing|Total)|warning: redirecting to|hint: |error: failed to push some refs|$)/;

/** Matches progress with a percentage. */
const PROGRESS = /^(Receiving|Resolving|Writing|Counting|Compressing) /;

/** Returns git's error message on one line, without progress and without passwords. */
export function gitErrorText(stderr: string): string {
  const lines = stderr
    .replace(/:\n\s+(?=\S)/g, ': ') // a list below its title
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => !NOISE.test(line) && !(PROGRESS.test(line) && /\d%/.test(line)));
  const failures = lines.filter((line) => /^(fatal|error|remote|ERR|!)/i.test(line));
  const words = (failures.length > 0 ? failures : lines).slice(0, MAX_LINES).join('; ');
  return maskUrlCredentials(
    /\bfsck error\b/.test(words) ? `${words} (use --no-fsck to import it nevertheless)` : words,
  );
}

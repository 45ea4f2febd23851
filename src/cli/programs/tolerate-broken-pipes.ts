import { systemErrorCode } from '#base/go/system-error';

/**
 * Keeps a program whose reader has left (`… | head`) from ending with a stack trace. Later writes
 * fail or are dropped, and the program ends normally. Output that is lost for another reason, such
 * as a full disk, makes the exit code 1 unless it is another failure already.
 */
export function tolerateBrokenPipes(): void {
  let isLost = false;
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error) => {
      isLost ||= systemErrorCode(error) !== 'EPIPE';
    });
  process.once('exit', () => {
    if (isLost) process.exitCode ||= 1;
  });
}

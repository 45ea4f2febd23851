import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { replaceFile } from '#base/files/replace-file';
import { DeliveryState } from './delivery-state.ts';

/**
 * Returns a state that is kept in a file. One that cannot be read is reported. The file survives a
 * power failure: without it, a webhook would start with the next event.
 */
export function stateInFile(path: string, onProblem: (error: unknown) => void): DeliveryState {
  return new DeliveryState({
    text: readOrReport(path, onProblem),
    onProblem,
    write: async (text) => {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await replaceFile(path, text, { durable: true });
    },
  });
}

function readOrReport(path: string, onProblem: (error: unknown) => void): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    try {
      ignoreMissing(error);
    } catch {
      onProblem(error);
    }
    return undefined;
  }
}

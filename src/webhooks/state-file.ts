import { readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { DeliveryState } from './delivery-state.ts';

const FILE_MODE = 0o600;

/** Returns a state that is kept in a file. One that cannot be read is reported. */
export function stateInFile(path: string, onProblem: (error: unknown) => void): DeliveryState {
  return new DeliveryState({
    text: readOrReport(path, onProblem),
    onProblem,
    write: async (text) => {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeFile(`${path}.new`, text, { mode: FILE_MODE });
      await rename(`${path}.new`, path);
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

import { execFile } from 'node:child_process';
import { describeJsonError } from '#base/go/encoding/json-error';
import { quote } from '#base/go/quote';
import { signalWords } from '#base/go/signal-words';
import { systemErrorText } from '#base/go/system-error';
import { JsonFields } from '#base/json-fields';
import type { RawTable } from './decode.ts';

const MAX_OUTPUT_BYTES = 16 << 20;

/**
 * Runs a `config_command` and returns its output: JSON with the keys of the file.
 *
 * @throws {Error} with Gitaly's text.
 */
export async function generatedConfig(command: string): Promise<RawTable> {
  const output = await outputOf(command);
  const wrong = describeJsonError(output, 'document');
  if (wrong !== undefined) throw new Error(`unmarshalling generated config: ${wrong}`);
  const generated = JsonFields.parse(output);
  if (generated === undefined)
    throw new Error(
      'unmarshalling generated config: json: cannot unmarshal the value into Go value of type config.Cfg',
    );
  return Object.fromEntries(generated.entries());
}

async function outputOf(command: string): Promise<string> {
  return await new Promise<string>((fulfil, reject) => {
    execFile(command, { maxBuffer: MAX_OUTPUT_BYTES }, (error, stdout, stderr) => {
      if (error === null) return fulfil(stdout);
      const reason =
        typeof error.code === 'number'
          ? `exit status ${error.code}, stderr: ${quote(stderr)}`
          : error.signal
            ? `signal: ${signalWords(error.signal)}, stderr: ${quote(stderr)}`
            : `fork/exec ${command}: ${systemErrorText(error)}`;
      reject(new Error(`running config command: ${reason}`));
    });
  });
}

import { messageOf } from '#base/gitaly-error';
import { parseDurationMs } from '#base/go/duration';
import { quote } from '#base/go/quote';

/** Type of an option's value: whole numbers of 64 bits, or a duration like `10s`. */
export type ValueType = 'int' | 'uint' | 'duration';

const RANGES = {
  int: { parser: 'ParseInt', pattern: /^[+-]?\d+$/, min: -(2n ** 63n), max: 2n ** 63n - 1n },
  uint: { parser: 'ParseUint', pattern: /^\d+$/, min: 0n, max: 2n ** 64n - 1n },
};

/** Returns what is wrong with a value, in Go's words. An empty value is that of a missing option. */
export function valueProblem(option: string, value: string, type: ValueType): string | undefined {
  if (value === '') return undefined;
  const problem = type === 'duration' ? durationProblem(value) : numberProblem(value, type);
  return problem && `invalid value ${quote(value)} for flag -${option}: ${problem}`;
}

function numberProblem(value: string, type: 'int' | 'uint'): string | undefined {
  const { max, min, parser, pattern } = RANGES[type];
  const prefix = `strconv.${parser}: parsing ${quote(value)}`;
  if (!pattern.test(value)) return `${prefix}: invalid syntax`;
  const number = BigInt(value.replace(/^\+/, ''));
  return number < min || number > max ? `${prefix}: value out of range` : undefined;
}

function durationProblem(value: string): string | undefined {
  try {
    parseDurationMs(value);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

import { messageOf } from '#base/gitaly-error';
import { parseDurationMs } from '#base/go/duration';
import { quote } from '#base/go/quote';
import { parseBool } from '#base/go/strconv';

/** Type of an option's value: a whole number of 64 bits, a duration like `10s`, true or false. */
export type ValueType = 'int' | 'uint' | 'duration' | 'bool';

const RANGES = {
  int: { parser: 'ParseInt', pattern: /^[+-]?\d+$/, min: -(2n ** 63n), max: 2n ** 63n - 1n },
  uint: { parser: 'ParseUint', pattern: /^\d+$/, min: 0n, max: 2n ** 64n - 1n },
};

/** Returns the problem of a value, in Go's words. An empty value represents a missing option. */
export function valueProblem(option: string, value: string, type: ValueType): string | undefined {
  if (value === '') return undefined;
  const problem = problemOf(value, type);
  return problem && `invalid value ${quote(value)} for flag -${option}: ${problem}`;
}

function problemOf(value: string, type: ValueType): string | undefined {
  if (type === 'bool') return parseBool(value) === undefined ? 'parse error' : undefined;
  return type === 'duration' ? durationProblem(value) : numberProblem(value, type);
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

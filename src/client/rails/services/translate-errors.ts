import type { GitalyError, StatusCode } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import type { Items } from './storage-calls.ts';

/** Makes the error that the caller gets. */
export type Translation = (error: CallError) => GitalyError;

/** Translations by the case of the error's detail (`CallError.reason`), and by code for others. */
export interface ErrorRules {
  readonly reasons?: Readonly<Record<string, Translation>>;
  readonly codes?: { readonly [code in StatusCode]?: Translation };
}

/** Returns the error for the caller. Errors without a rule stay as they are. */
export function translatedError(error: unknown, { reasons = {}, codes = {} }: ErrorRules): unknown {
  if (!(error instanceof CallError)) return error;
  const { code, reason } = error;
  const translate = (reason === undefined ? undefined : reasons[reason]) ?? codes[code];
  return translate === undefined ? error : translate(error);
}

/** Returns the result of `work`, whose errors are translated. */
export async function translated<T>(work: Promise<T>, rules: ErrorRules): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw translatedError(error, rules);
  }
}

/** Yields `items`, whose errors are translated. */
export async function* translatedItems<T>(items: AsyncIterable<T>, rules: ErrorRules): Items<T> {
  try {
    yield* items;
  } catch (error) {
    throw translatedError(error, rules);
  }
}

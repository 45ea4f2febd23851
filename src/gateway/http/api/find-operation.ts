import { percentDecoded } from '#base/network/percent-decoded';
import type { ApiOperation, Method } from './operation.ts';
import { Problem } from './problems.ts';

/** An operation with the parameters of its path. */
export interface FoundOperation<O> {
  readonly operation: O;
  readonly parts: readonly (readonly [name: string, bytes: Buffer])[];
}

/** A row's path: literal segments, and parameters. */
interface Pattern<O> {
  readonly operation: O;
  readonly method: Method;
  readonly segments: readonly { readonly text: string; readonly isParameter: boolean }[];
}

/** Finds the operation of a request by its method and path. */
export class OperationFinder<O extends Pick<ApiOperation, 'method' | 'path'>> {
  readonly #patterns: readonly Pattern<O>[];

  constructor(operations: readonly O[]) {
    this.#patterns = operations.map((operation) => ({
      operation,
      method: operation.method,
      segments: segmentsOf(operation.path),
    }));
  }

  /**
   * @param path encoded, below the API's, with its leading slash.
   * @throws {Problem} for a path or method that no operation has.
   */
  find(method: string, path: string): FoundOperation<O> {
    const encoded = path.split('/').slice(1);
    const fitting = this.#patterns.flatMap((pattern) => {
      const parts = match(pattern, encoded);
      return parts === undefined ? [] : [{ pattern, parts }];
    });
    const wanted = method === 'HEAD' ? 'GET' : method;
    const found = fitting.find(({ pattern }) => pattern.method === wanted);
    if (found !== undefined)
      return {
        operation: found.pattern.operation,
        parts: found.parts.map(([name, text]) => part(name, text)),
      };
    if (fitting.length === 0) throw new Problem('not-found', 404, 'The API has no such address.');
    const methods = fitting.flatMap(({ pattern }) =>
      pattern.method === 'GET' ? ['GET', 'HEAD'] : [pattern.method],
    );
    const Allow = [...new Set(methods)].join(', ');
    throw new Problem('method-not-allowed', 405, `The address supports only ${Allow}.`, {
      headers: { Allow },
    });
  }
}

/** Returns the parts of an operation's path. */
export function segmentsOf(path: string): { text: string; isParameter: boolean }[] {
  return path
    .split('/')
    .slice(1)
    .map((segment) =>
      segment.startsWith('{')
        ? { text: segment.slice(1, -1), isParameter: true }
        : { text: segment, isParameter: false },
    );
}

/** Returns the encoded parameters; `undefined` if the path does not fit. The last one gets the rest. */
function match<O>(
  { segments }: Pattern<O>,
  encoded: readonly string[],
): (readonly [string, string])[] | undefined {
  const last = segments.at(-1);
  const hasRest = segments.length > 2 && last?.isParameter === true;
  if (encoded.length < segments.length || (!hasRest && encoded.length > segments.length)) return undefined;
  const parts: [string, string][] = [];
  for (const [index, { isParameter, text }] of segments.entries()) {
    const own = encoded[index] ?? '';
    if (!isParameter) {
      if (own !== text) return undefined;
      continue;
    }
    parts.push([text, hasRest && index === segments.length - 1 ? encoded.slice(index).join('/') : own]);
  }
  return parts;
}

function part(name: string, text: string): readonly [string, Buffer] {
  const bytes = percentDecoded(text);
  if (bytes === undefined)
    throw new Problem('invalid-request', 400, `${name} has a malformed escape in the address.`);
  return [name, bytes];
}

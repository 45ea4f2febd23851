import type { TestContext } from 'node:test';

type Methods<T> = { [K in keyof T]: T[K] extends (...args: never) => unknown ? K : never }[keyof T];

/**
 * Replaces a method until the end of a test, as `context.mock.method` does, but more than once.
 * Node restores methods in the order of their mocks, so after two mocks the first one would remain
 * for the tests that follow.
 */
export function replaceMethod<T extends object, K extends Methods<T>>(
  context: TestContext,
  object: T,
  name: K,
  implementation: T[K] & ((...args: never) => unknown),
): void {
  const current = object[name] as { readonly mock?: { restore(): void } };
  current.mock?.restore();
  context.mock.method(object, name, implementation as never);
}

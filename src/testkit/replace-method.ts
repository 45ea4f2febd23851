import type { TestContext } from 'node:test';

type Methods<T> = { [K in keyof T]: T[K] extends (...args: never) => unknown ? K : never }[keyof T];

/**
 * Replaces a method until the end of a test, as `context.mock.method` does, also a second time.
 * Node restores methods in the order of their mocks, so the second of two would leave the first one
 * to the tests that follow.
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

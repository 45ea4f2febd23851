/**
 * The part of highlight.js that is used. tsconfig.json uses this file instead of the package's own
 * types, which would add browser types to the whole project.
 */
declare const hljs: {
  getLanguage(name: string): object | undefined;
  /** @returns markup in which the text is escaped. */
  highlight(
    text: string,
    options: { readonly language: string; readonly ignoreIllegals: boolean },
  ): { readonly value: string };
};
export default hljs;

/**
 * The used part of highlight.js. tsconfig.json names this file in place of its own types, which
 * bring those of browsers into the whole project.
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

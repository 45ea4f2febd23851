/** Work for the thread that renders. Texts come from repositories and are hostile. */
export type RenderJob =
  | {
      readonly kind: 'code';
      readonly text: string;
      /** Name of the file, which determines the language. */
      readonly name: string;
    }
  | {
      readonly kind: 'markdown';
      readonly text: string;
      /** Address of the directory of the file, which ends in a slash, and the query of files. */
      readonly base: string;
      readonly query: string;
    };

export interface RenderRequest {
  readonly id: number;
  readonly job: RenderJob;
}

export interface RenderResponse {
  readonly id: number;
  /** Markup in which everything of the text is escaped; `undefined` if it cannot be rendered. */
  readonly markup: string | undefined;
}

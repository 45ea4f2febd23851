import type { Answer } from './answer.ts';

/** Thrown where a request is given up for a reason that its client is told. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly answer: Answer;

  constructor(answer: Answer, options?: ErrorOptions) {
    super(answer.text, options);
    this.answer = answer;
  }
}

/** Too much at once from one client. */
export const TOO_MANY: Answer = {
  status: 429,
  text: 'You have too many requests running. Wait until some have ended and try again.',
  headers: { 'Retry-After': '1' },
};

import type { Answer } from './answer.ts';

/** Thrown to refuse a request with a response for its client. */
export class HttpRefusal extends Error {
  override readonly name = 'Refusal';
  readonly answer: Answer;

  constructor(answer: Answer, options?: ErrorOptions) {
    super(answer.text, options);
    this.answer = answer;
  }
}

/** Response to a client with too many concurrent requests. */
export const TOO_MANY: Answer = {
  status: 429,
  text: 'You have too many running requests. Wait until some have ended and try again.',
  headers: { 'Retry-After': '1' },
};

import type { Answer } from '../answer.ts';

/** Asks for a name and a password; git and browsers then look for them or ask their user. */
export const SIGN_IN: Answer = challenge('Sign in: this needs a name and a password, or a token.');

/** The same answer for an unknown name, a wrong password and a header that says nothing. */
export const WRONG_CREDENTIALS: Answer = challenge('The name or the password is wrong, or the token is not known.');

export const READ_ONLY: Answer = { status: 403, text: 'You may read this repository, but not push to it.' };

export function challenge(text: string): Answer {
  return { status: 401, text, headers: { 'WWW-Authenticate': 'Basic realm="git", charset="UTF-8"' } };
}

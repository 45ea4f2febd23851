import type { Admission } from '../authentication.ts';

/** What the authentication URL said. */
export type CallbackAnswer =
  | { readonly isAllowed: true; readonly admission: Admission }
  | {
      readonly isAllowed: false;
      /** What the client of the door is answered; without one the door chooses. */
      readonly status: RefusalStatus | undefined;
      /** Shown to the user. */
      readonly message: string | undefined;
    };

type RefusalStatus = 401 | 403 | 404;

const MAX_NAME_CHARACTERS = 255;
const MAX_MESSAGE_CHARACTERS = 1000;
/** `user-1`, `key-2`, `username-jane`: what Gitaly takes as a `gl_id`. */
const GL_ID = /^[\w.@+-]{1,255}$/;

/**
 * Reads an answer: 200 with `{"allowed": true, "gl_id": …}`, 200 with `{"allowed": false, …}`, or 401, 403, 404 with any body.
 *
 * @throws {Error} for anything else; the message repeats nothing of the answer.
 */
export function parseCallbackAnswer(status: number, text: string): CallbackAnswer {
  if (isRefusalStatus(status)) return { isAllowed: false, status, message: messageIn(tolerantJson(text)) };
  if (status !== 200) throw new Error(`the answer has status ${status}, want 200, 401, 403 or 404`);
  const answer = tolerantJson(text);
  if (answer === undefined) throw new Error('the answer is not a JSON object');
  switch (answer.allowed) {
    case true:
      return { isAllowed: true, admission: admissionOf(answer) };
    case false:
      return {
        isAllowed: false,
        status: isRefusalStatus(answer.status) ? answer.status : undefined,
        message: messageIn(answer),
      };
    default:
      throw new Error('"allowed" in the answer is neither true nor false');
  }
}

function admissionOf(answer: Readonly<Record<string, unknown>>): Admission {
  const { gl_id: glId, gl_repository: glRepository, gl_username: username = '' } = answer;
  if (typeof glId !== 'string' || !GL_ID.test(glId)) throw new Error('"gl_id" in the answer is not a name such as user-1');
  if (!isName(username)) throw new Error('"gl_username" in the answer is not a name');
  if (glRepository === undefined || glRepository === '') return { glId, username };
  if (!isName(glRepository)) throw new Error('"gl_repository" in the answer is not a name such as project-1');
  return { glId, username, glRepository };
}

function isRefusalStatus(status: unknown): status is RefusalStatus {
  return status === 401 || status === 403 || status === 404;
}

/** They travel in headers and environment variables, so there is nothing but printable characters in them. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_NAME_CHARACTERS && !/\p{Cc}/u.test(value);
}

function messageIn(answer: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const message = answer?.message;
  if (typeof message !== 'string' || message.trim() === '') return undefined;
  return message.replace(/[^\P{Cc}\n]/gu, ' ').slice(0, MAX_MESSAGE_CHARACTERS); // a terminal shows it
}

function tolerantJson(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    // An object that is no array has names and values, whatever they are.
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // the caller knows what that means
  }
}

import { JsonFields } from '#base/json-fields';
import type { Admission } from '../authentication.ts';

/** Parsed response of the authentication URL. */
export type CallbackAnswer =
  | { readonly isAllowed: true; readonly admission: Admission }
  | {
      readonly isAllowed: false;
      /** Status for the gateway's client; if undefined, the gateway chooses one. */
      readonly status: RefusalStatus | undefined;
      /** Message for the user. */
      readonly message: string | undefined;
    };

type RefusalStatus = 401 | 403 | 404;

const MAX_NAME_CHARACTERS = 255;
const MAX_MESSAGE_CHARACTERS = 1000;
/** Matches values that Gitaly accepts as `gl_id`: `user-1`, `key-2`, `username-jane`. */
const GL_ID = /^[\w.@+-]{1,255}$/;

/**
 * Parses a response: 200 with `{"allowed": true, "gl_id": …}`, 200 with `{"allowed": false, …}`, or
 * 401, 403, 404 with any body.
 *
 * @throws {Error} for any other response; the message repeats nothing of it.
 */
export function parseCallbackAnswer(status: number, text: string): CallbackAnswer {
  if (isRefusalStatus(status))
    return { isAllowed: false, status, message: messageIn(JsonFields.parse(text)) };
  if (status !== 200) throw new Error(`the response has status ${status}, expected 200, 401, 403 or 404`);
  const answer = JsonFields.parse(text);
  if (answer === undefined) throw new Error('the response is not a JSON object');
  const refusal = answer.number('status');
  switch (answer.flag('allowed')) {
    case true:
      return { isAllowed: true, admission: admissionOf(answer) };
    case false:
      return {
        isAllowed: false,
        status: isRefusalStatus(refusal) ? refusal : undefined,
        message: messageIn(answer),
      };
    default:
      throw new Error('"allowed" in the response is neither true nor false');
  }
}

function admissionOf(answer: JsonFields): Admission {
  const glId = answer.text('gl_id');
  const username = answer.has('gl_username') ? answer.text('gl_username') : '';
  if (glId === undefined || !GL_ID.test(glId))
    throw new Error('"gl_id" in the response is not a name such as user-1');
  if (!isName(username)) throw new Error('"gl_username" in the response is not a name');
  if (!answer.has('gl_repository')) return { glId, username };
  const glRepository = answer.text('gl_repository');
  if (glRepository === '') return { glId, username };
  if (!isName(glRepository))
    throw new Error('"gl_repository" in the response is not a name such as project-1');
  return { glId, username, glRepository };
}

function isRefusalStatus(status: number | undefined): status is RefusalStatus {
  return status === 401 || status === 403 || status === 404;
}

/**
 * Reports whether a name has only printable characters, because it is sent in headers and
 * environment variables.
 */
function isName(value: string | undefined): value is string {
  return value !== undefined && value.length <= MAX_NAME_CHARACTERS && !/\p{Cc}/u.test(value);
}

function messageIn(answer: JsonFields | undefined): string | undefined {
  const message = answer?.text('message');
  if (message === undefined || message.trim() === '') return undefined;
  // a terminal shows it
  return message.replace(/[^\P{Cc}\n]/gu, ' ').slice(0, MAX_MESSAGE_CHARACTERS);
}

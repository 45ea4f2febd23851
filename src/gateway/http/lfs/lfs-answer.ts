import type { Answer } from '../answer.ts';

const TYPE = 'application/vnd.git-lfs+json';

/** Returns a response with JSON, which git-lfs reads. */
export function lfsAnswer(status: number, body: object, headers: Answer['headers'] = {}): Answer {
  return { status, text: JSON.stringify(body), headers: { 'Content-Type': TYPE, ...headers } };
}

/** Returns a response for an error, whose message git-lfs shows. */
export function lfsError(status: number, message: string): Answer {
  return lfsAnswer(status, { message });
}

/** Returns another response of the gateway in the form that git-lfs reads. */
export function inLfsForm({ headers = {}, status, text }: Answer): Answer {
  const challenge = headers['WWW-Authenticate'];
  return lfsAnswer(
    status,
    { message: text },
    { ...headers, 'Content-Type': TYPE, ...(challenge !== undefined && { 'LFS-Authenticate': challenge }) },
  );
}

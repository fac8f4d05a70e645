import { NatprobeError } from './errors.ts';

/**
 * An http or https URL without credentials, query and fragment, whose path ends in a slash, so that
 * paths can be resolved against it. Throws ERR_URL naming `place`.
 */
export function parseHttpUrl(text: string, place: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !isHttpUrl(url) || url.username !== '' || url.password !== '') {
    throw new NatprobeError('ERR_URL', place, `got ${JSON.stringify(text)}`);
  }
  url.search = '';
  url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

export function isHttpUrl({ protocol }: URL): boolean {
  return protocol === 'http:' || protocol === 'https:';
}

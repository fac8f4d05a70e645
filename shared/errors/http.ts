/** What the HTTP API answers to requests that it can't meet. */
export const HTTP_ERRORS = {
  ERR_REQUEST: {
    exitCode: 1,
    problem: 'the request cannot be used',
    remedy: 'correct it; /docs describes each request',
  },
  ERR_JSON: {
    exitCode: 1,
    problem: 'the body is no JSON document',
    remedy: 'send one JSON object in UTF-8, nested no deeper than a report is',
  },
  ERR_FIELD: {
    exitCode: 1,
    problem: 'a field is not as the schema has it',
    remedy: 'correct that field; /openapi.json has the schema',
  },
  ERR_EVIDENCE: {
    exitCode: 1,
    problem: 'the evidence is none that a run of natprobe leaves',
    remedy: 'send the report as natprobe wrote it',
  },
  ERR_NONCE_USED: {
    exitCode: 1,
    problem: 'another report has come with this nonce',
    remedy: 'measure again: a nonce is good for one report',
  },
  ERR_PAGE: {
    exitCode: 2,
    problem: 'not a page of this list',
    remedy: 'leave it out to begin, then give what the page before said is next',
  },
  ERR_OFFER: {
    exitCode: 2,
    problem: 'not an offer of one WebRTC data channel',
    remedy: 'send what createOffer() gave, with the line ends as they are',
  },
  ERR_BROWSER_SESSIONS: {
    exitCode: 1,
    problem: 'too many browsers are being measured',
    remedy: 'try again in ten seconds',
  },
  ERR_NO_BROWSER_SESSION: {
    exitCode: 1,
    problem: 'no such measurement, or it has ended',
    remedy: 'start again: it lasts ten seconds at most',
  },
  ERR_TOKEN: {
    exitCode: 1,
    problem: 'this is for holders of the token, or for this machine itself',
    remedy: 'send it as `Authorization: Bearer TOKEN`',
  },
  ERR_NOT_FOUND: {
    exitCode: 1,
    problem: 'nothing is there',
    remedy: 'check the path; /docs lists what there is',
  },
  ERR_NO_REPORT: {
    exitCode: 1,
    problem: 'there is no such report',
    remedy: 'check the id; the report may also have been kept for as long as reports are kept here',
  },
  ERR_METHOD: {
    exitCode: 1,
    problem: 'the method does not go with that path',
    remedy: 'use one that the Allow header names',
  },
  ERR_BODY_TOO_LARGE: {
    exitCode: 1,
    problem: 'the body is too large',
    remedy: 'send less: a report is far smaller',
  },
  ERR_MEDIA_TYPE: {
    exitCode: 1,
    problem: 'the body is of a type that is not taken',
    remedy: 'send it uncompressed, with `Content-Type: application/json`',
  },
  ERR_TOO_MANY_REQUESTS: {
    exitCode: 1,
    problem: 'too many requests from there',
    remedy: 'wait for as long as the Retry-After header says',
  },
  ERR_INTERNAL: {
    exitCode: 1,
    problem: 'the server failed',
    remedy: 'try again; its operator finds the cause in the log',
  },
  ERR_NOT_READY: {
    exitCode: 1,
    problem: 'the server cannot serve this now',
    remedy: 'try again in a moment',
  },
} as const;

/** What --help says and limit-settings.ts reads; by itself, so that --help loads nothing more. */

/** Answers a second that one IPv4 address or one IPv6 /56 draws over UDP; a whole house, or a carrier's NAT, is behind it. */
export const DEFAULT_ANSWER_RATE = 500;

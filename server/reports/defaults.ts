/** What --help says and settings.ts reads; by itself, so that --help loads nothing more. */
export const DEFAULT_KEEP = '90d';

export const ADDRESS_PRIVACIES = ['full', 'prefix', 'none'] as const;
/** What is kept of addresses: all, /24 and /48, or nothing. */
export type AddressPrivacy = (typeof ADDRESS_PRIVACIES)[number];
export const DEFAULT_ADDRESSES: AddressPrivacy = 'prefix';

/** What of the lab's NATs translates IPv6, and how. */
import type { Translation } from '../../shared/nat/translation.ts';
import { labNat, type LabNat } from './nats.ts';

export interface LabTranslationNat {
  readonly nat: LabNat;
  /** Of IPv6. */
  readonly translation: Translation;
}

export const LAB_TRANSLATION_NATS: readonly LabTranslationNat[] = [
  { nat: labNat('open'), translation: 'none' },
  { nat: labNat('firewall'), translation: 'none' },
  { nat: labNat('nat66'), translation: 'nat66' },
  { nat: labNat('nptv6'), translation: 'nptv6' },
  { nat: labNat('nptv6-firewall'), translation: 'nptv6' },
];

/** What names of rooms and peers come to, for those too that have nothing else to do with the broker's messages. */
export const DEFAULT_ROOM = 'lobby';
export const NAME_LENGTH = 64;
/** Of what people write: a reason, why somebody refuses. */
export const TEXT_LENGTH = 300;

export { algorithmIdentifier } from './algorithm-identifier.ts';
export { ecdsaSignatureToDer } from './ecdsa-signature.ts';
export { type PinPurpose, sealPin } from './pin.ts';
export { isPkcs11LibraryStuck } from './pkcs11.ts';
export { digestOfSignInput } from './pkcs11-mechanism.ts';
export { formatPkcs11Uri } from './pkcs11-uri.ts';
export type { SignatureScheme, Signer } from './port.ts';
export { openSealedSigner } from './sealed-signer.ts';

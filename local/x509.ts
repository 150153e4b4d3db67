/** @peculiar/x509 needs the metadata polyfill to be there before it is loaded; import it from here. */
import 'reflect-metadata';

export * from '@peculiar/x509';

/** Invalidations as the untimed oracle understands them. */

/** One invalidation, decoded. `pages` counts from `page` on and is aligned. */
export type OracleInvalidation =
  | { readonly kind: 'context'; readonly device?: number; readonly domainId?: number }
  | { readonly kind: 'pasid'; readonly domainId?: number; readonly pasid?: number }
  | { readonly kind: 'global' }
  | { readonly kind: 'domain'; readonly domainId: number }
  | {
      readonly kind: 'pages';
      readonly domainId: number;
      readonly page: number;
      readonly pages: number;
      readonly hint: boolean;
    }
  | { readonly kind: 'pasidAll'; readonly domainId: number; readonly pasid: number }
  | {
      readonly kind: 'pasidPages';
      readonly domainId: number;
      readonly pasid: number;
      readonly page: number;
      readonly pages: number;
      readonly hint: boolean;
    };

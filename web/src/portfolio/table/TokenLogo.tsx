import { type CSSProperties, memo, useState } from "react";
import type { Position } from "../../api/schema";
import { safeText } from "../../format/text";
import { useStore } from "../../state/hooks";
import { useOwnLogo } from "./logos";
import styles from "./TokenLogo.module.css";

/**
 * A contract's logo: one that comes with the page, or the provider's by our own route, or initials on a colour of its
 * address. A hidden token has initials only.
 */
export const TokenLogo = memo(function TokenLogo({ position }: { position: Position }) {
  const { chainId, tokenAddress, logoUrl, isSpam, symbol } = position;
  const { brokenLogos } = useStore();
  const own = useOwnLogo(chainId, tokenAddress);
  const [broken, setBroken] = useState<string | null>(null);
  const [loaded, setLoaded] = useState<string | null>(null);
  const provided = own === null && logoUrl !== null ? `/api/v1/logos/${chainId}/${tokenAddress}` : null;
  const source = isSpam ? null : (own ?? provided);
  const isShown = source !== null && source !== broken && !brokenLogos.has(source);
  const initials = [...safeText(symbol).replace(/[^\p{L}\p{N}]/gu, "")].slice(0, 2).join("").toUpperCase();
  return (
    <span className={styles.logo} style={{ "--hue": hue(tokenAddress, chainId) } as CSSProperties} aria-hidden="true">
      {!(isShown && loaded === source) && (initials || "?")}
      {isShown && (
        <img
          src={source}
          alt=""
          width={32}
          height={32}
          loading="lazy"
          decoding="async"
          className={styles.image}
          onLoad={() => setLoaded(source)}
          onError={() => {
            brokenLogos.add(source);
            setBroken(source);
          }}
        />
      )}
    </span>
  );
});

/** In degrees, the same for the same token. The native coins share an address, so the chain counts too. */
function hue(address: string, chainId: number): number {
  return (Number.parseInt(address.slice(2, 8), 16) + chainId * 67) % 360;
}

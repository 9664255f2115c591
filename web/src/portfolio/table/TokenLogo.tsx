import { type CSSProperties, memo, useState } from "react";
import type { Position } from "../../api/schema";
import { safeText } from "../../format/text";
import { useStore } from "../../state/hooks";
import styles from "./TokenLogo.module.css";

/** A token's logo by our own route, or its initials on a colour of its address. A hidden token has initials only. */
export const TokenLogo = memo(function TokenLogo({ position }: { position: Position }) {
  const { chainId, tokenAddress, logoUrl, isSpam, symbol } = position;
  const { brokenLogos } = useStore();
  const source = logoUrl !== null && !isSpam ? `/api/v1/logos/${chainId}/${tokenAddress}` : null;
  const [isBroken, setBroken] = useState(source !== null && brokenLogos.has(source));
  const initials = [...safeText(symbol).replace(/[^\p{L}\p{N}]/gu, "")].slice(0, 2).join("").toUpperCase();
  return (
    <span className={styles.logo} style={{ "--hue": hue(tokenAddress, chainId) } as CSSProperties} aria-hidden="true">
      {source && !isBroken ? (
        <img
          src={source}
          alt=""
          width={32}
          height={32}
          loading="lazy"
          decoding="async"
          className={styles.image}
          onError={() => {
            brokenLogos.add(source);
            setBroken(true);
          }}
        />
      ) : (
        initials || "?"
      )}
    </span>
  );
});

/** In degrees, the same for the same token. The native coins share an address, so the chain counts too. */
function hue(address: string, chainId: number): number {
  return (Number.parseInt(address.slice(2, 8), 16) + chainId * 67) % 360;
}

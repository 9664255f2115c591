// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {StandardToken} from "./StandardToken.sol";

/// Has balances but will not say how many decimals they have.
contract NoDecimalsToken is StandardToken {
    constructor(string memory name_, string memory symbol_) StandardToken(name_, symbol_, 0) {}

    function decimals() public pure override returns (uint8) {
        revert("no decimals");
    }
}

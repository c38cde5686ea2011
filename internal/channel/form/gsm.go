package form

import (
	"strings"
	"unicode/utf8"
)

// The default alphabet and its extension, whose characters take two septets (3GPP
// TS 23.038, 6.2.1).
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "^{}\\[~]|€"
)

// gsmLike are characters that the alphabet lacks, and what is written for them:
// one stranger among 160 letters makes an SMS twice as dear.
const gsmLike = "…. →> ×x ·- •- –- —- ‘' ’' ‚' “\" ”\" „\" `' ´' «< »> ‹< ›> " +
	"áa âa ãa āa ăa ąa ÁA ÀA ÂA ÃA ĀA ĂA ĄA çc ćc čc ĊC ċc ĆC ČC ďd đd ðd ĎD ĐD ÐD êe ëe ēe ėe ęe ěe ÈE ÊE ËE ĒE ĖE ĘE ĚE " +
	"ğg ĞG íi îi ïi īi įi ıi ÍI ÌI ÎI ÏI ĪI ĮI İI łl ľl ĺl ŁL ĽL ńn ňn ŃN ŇN óo ôo õo őo ōo ÓO ÒO ÔO ÕO ŐO ŌO " +
	"řr ŕr ŘR śs šs şs șs ŚS ŠS ŞS ȘS ťt ţt țt ŤT ŢT ȚT úu ûu ūu ůu űu ųu ÚU ÙU ÛU ŪU ŮU ŰU ŲU ýy ÿy ÝY źz žz żz ŹZ ŽZ ŻZ "

// gsm returns how a character is written in the alphabet of SMS.
func gsm(r rune) string {
	if strings.ContainsRune(gsmBasic, r) || strings.ContainsRune(gsmExtended, r) {
		return string(r)
	}
	// Every entry is a character, what stands for it, and a space.
	if i := strings.IndexRune(gsmLike, r); i >= 0 && r >= utf8.RuneSelf {
		return gsmLike[i+utf8.RuneLen(r) : i+utf8.RuneLen(r)+1]
	}
	return "?"
}

// septets returns how many of them a text of that alphabet takes.
func septets(s string) int {
	n := 0
	for _, r := range s {
		n++
		if strings.ContainsRune(gsmExtended, r) {
			n++
		}
	}
	return n
}

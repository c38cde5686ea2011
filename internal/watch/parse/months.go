package parse

import "strings"

// localizedMonth reads the short name of a month in a language of glibc's locales
// (LC_TIME, abmon), with or without its point, in any case, or as Chinese, Japanese
// and Korean number it; 0: it is none. Croatian is left out: its lip, srp and lis are the
// Polish and Czech names of the month after.
func localizedMonth(word string) int {
	digits := len(word) - len(strings.TrimLeft(word, "0123456789"))
	if n, ok := number(word[:digits]); ok && n <= 12 && (word[digits:] == "月" || word[digits:] == "월") {
		return n
	}
	word = strings.TrimSuffix(word, ".")
	if len(word) < 2 || len(word) > 12 {
		return 0
	}
	word = " " + strings.ToLower(word) + " "
	for i, names := range [12]string{
		" jan jän janv ene gen sty led tammi янв сту яну oca ian јан jaan saus ιαν urt xan ean ינו يناير ژانویه січ ",
		" feb févr fév fev lut úno helmi фев лют febr şub феб veebr vas φεβ ots feabh פבר فبراير فوریه ",
		" mar mär mars mrt bře maalis мар сак márc märts kov μαρ μάρ març mac márta מרץ مارس бер mrz march ",
		" apr avril avr abr kwi dub april huhti апр кра ápr nis bal απρ api aib אפר أبريل آوریل кві ",
		" may mai mag mei maj kvě máj touko мая май мај geg μαΐ μάι maig maí beal מאי مايو مه тра ",
		" jun juin giu cze čen jún juni kesä июн чэр юни haz iun јун juuni birž jūn ιουν ιούν juny eka xuñ meith יונ يونيو ژوئن чер june ",
		" jul juil jui lug čec júl juli heinä июл ліп юли tem iul јул juuli liep jūl ιουλ ιούλ uzt xul iúil יול يوليو ژوئیه lip лип july ",
		" aug août aoû ago sie elo авг жні ağu avg rugp αυγ αύγ ag abu agu ogos ágú lún אוג أغسطس اوت srp сер august ",
		" sep sept set wrz zář syys сен вер сеп szept eyl rugs σεπ ira mfómh ספט سبتمبر سپتامبر ",
		" oct okt ott out paź říj loka окт кас eki spal οκτ urr dfómh אוק أكتوبر اكتبر жов ",
		" nov noi marras ноя ліс ное kas нов lapkr νοε νοέ aza nóv samh נוב نوفمبر نوامبر lis лис ",
		" dec dez déc dic gru pro des joulu дек сне ara дец dets gruod δεκ abe dis noll דצמ ديسمبر دسامبر гру ",
	} {
		if strings.Contains(names, word) {
			return i + 1
		}
	}
	return 0
}

"""What learners of English do with its sounds, by first language; the notation is that of `accent_rules`.

Mainly after the chapters of Swan & Smith (eds.), Learner English: A Teacher's Guide to Interference and Other
Problems, 2nd edition, Cambridge University Press 2001 (there by Chang, Coe, Swan, Walter, Shackle, Thompson,
Lee, B. Smith, Monk & Burak, Duguid). Vietnamese after Hwa-Froelich, Hodson & Edwards, Characteristics of
Vietnamese Phonology, American Journal of Speech-Language Pathology 11, 2002. What mispronunciations are
frequent in recordings is in Zhao et al., L2-ARCTIC, Interspeech 2018. The weights are estimates.
"""

from __future__ import annotations

TABLES = {
    "arabic": """
        P > B                                    0.7   pen
        V > F                                    0.6   very
        TH > S                                   0.3   think
        DH > Z                                   0.3   this
        CH > SH                                  0.5   chair
        NG > N G / _ #                           0.5   sing
        NG > N                                   0.4   think
        S > IH & / # _ P,T,K,M,N,L               0.4   street
        P,B,T,D,K,G > & IH / # _ R,L             0.3   break
        S,Z > IH & / P,B,T,D,K,G _ #             0.3   looks
        IH > EH                                  0.4   sit
        EH > IH                                  0.2   bed
        UH > UW                                  0.4   book
        AE > AA                                  0.2   man
        OW > AO                                  0.5   go
        ER > EH R                                0.5   bird
        AH0 > SPELT                              0.5   banana
    """,
    "french": """
        TH > S | F                               0.8   think
        DH > Z | V                               0.8   this
        HH > 0                                   0.8   house
        CH > SH                                  0.4   chair
        JH > ZH                                  0.6   just
        NG > N G / _ #                           0.3   sing
        S,T > 0 / S,T,K,P _ #                    0.2   last
        IH > IY                                  0.8   sit
        UH > UW                                  0.7   book
        AE > AA                                  0.4   man
        AH1 > ER                                 0.3   cup
        OW > AO                                  0.5   go
        EY > EH                                  0.4   late
        ER0 > ER2                                0.4   teacher
        AH0 > SPELT                              0.5   banana
    """,
    "german": """
        W > V                                    0.7   wine
        V > W                                    0.2   very
        B,D,G > P,T,K / _ #                      0.7   bed
        V,Z,ZH,JH > F,S,SH,CH / _ #              0.7   love
        Z > S / P,B,T,D,K,G,M,N,L _ #            0.3   names
        TH > S                                   0.7   think
        DH > Z | D                               0.7   this
        JH > CH                                  0.4   just
        ZH > SH                                  0.5   vision
        S > Z / # _ VOWEL                        0.3   sit
        S > SH / # _ P,T                         0.2   street
        AE > EH                                  0.8   man
        AH1 > AA                                 0.3   cup
        OW > AO                                  0.3   go
        EY > EH                                  0.2   late
        AH0 > SPELT                              0.2   banana
    """,
    "hindi": """
        TH > T                                   0.9   think
        DH > D                                   0.9   this
        W > V                                    0.6   wine
        V > W                                    0.5   very
        Z > JH                                   0.4   zoo
        ZH > JH | Z                              0.6   vision
        F > P                                    0.2   fish
        S > IH & / # _ P,T,K                     0.4   street
        AE > EH                                  0.4   man
        AO > AA                                  0.4   small
        OW > AO                                  0.4   go
        EY > EH                                  0.3   late
        NG > N G / _ #                           0.4   sing
        ER > AH R                                0.5   bird
        AH0 > SPELT                              0.5   banana
    """,
    "italian": """
        TH > T                                   0.8   think
        DH > D                                   0.8   this
        HH > 0                                   0.6   house
        S > Z / # _ M,N,L,W                      0.5   small
        NG > N G / _ #                           0.5   sing
        P,B,T,D,K,G,F,V,S,Z,M,N,L > & AH / _ #   0.3   bed
        IH > IY                                  0.8   sit
        UH > UW                                  0.7   book
        AE > EH                                  0.6   man
        AH1 > AA                                 0.6   cup
        ER > EH R                                0.6   bird
        OW > AO                                  0.4   go
        AH0 > SPELT                              0.8   banana
    """,
    "japanese": """
        L > R                                    0.7   love
        R > L / _ VOWEL                          0.3   red
        TH > SH / _ IY,IH                        0.5   think
        TH > S                                   0.9   three
        DH > Z                                   0.9   this
        V > B UW / _ #                           0.5   love
        V > B                                    0.8   very
        S > SH / _ IY,IH                         0.5   sit
        T,D > CH,JH / _ IY,IH                    0.4   team
        Z > JH / _ IY,IH                         0.4   easy
        HH > F / _ UW                            0.6   who
        W > 0 / # _ UW,UH                        0.6   wood
        Y > 0 / # _ IY,IH                        0.5   year
        T,D > & OW / _ #                         0.4   bed
        T,D > & OW / _ M,N,L,R,W,P,B,K,G         0.4   street
        CH,JH > & IY / _ #                       0.5   watch
        P,B,K,G,F,S,SH,M > & UW / _ #            0.4   book
        S,K,P,B,G,F > & UW / _ CONSONANT         0.5   street
        NG > NG G / _ #                          0.5   sing
        AE > AA                                  0.7   man
        AH1 > AA                                 0.7   cup
        ER > AA                                  0.6   bird
        IH > IY                                  0.4   sit
        UH > UW                                  0.5   book
        AO > OW                                  0.4   small
        AH0 > SPELT                              0.7   banana
    """,
    "korean": """
        F > P                                    0.8   fish
        V > B                                    0.8   very
        Z > JH                                   0.7   zoo
        ZH > JH                                  0.7   vision
        TH > S | T                               0.8   think
        DH > D                                   0.8   this
        L > R / VOWEL _ VOWEL                    0.6   hello
        R > L / _ VOWEL                          0.4   red
        W > 0 / # _ UW,UH                        0.5   wood
        CH,JH,SH > & IY / _ #                    0.6   watch
        P,B,T,D,K,G > & UH / _ L,R               0.3   street
        S,Z > & UH / _ P,T,K,M,N,#               0.3   street
        B,D,G > P,T,K / # _                      0.3   bed
        IH > IY                                  0.5   sit
        AE > EH                                  0.8   man
        UH > UW                                  0.6   book
        AO > OW                                  0.5   small
        ER > AO                                  0.3   bird
        AH0 > SPELT                              0.5   banana
    """,
    "mandarin": """
        TH > S | F                               0.8   think
        DH > D | Z                               0.8   this
        V > F / _ #                              0.6   love
        V > W                                    0.6   very
        T,D > 0 / CONSONANT _ #                  0.5   cold
        B,D,G > P,T,K / _ #                      0.5   bed
        B,D,G > & AH / _ #                       0.3   bed
        P,T,K > 0 / _ #                          0.2   book
        Z > S                                    0.6   zoo
        ZH > R | SH                              0.6   vision
        L > AO | 0 / VOWEL _ #                   0.5   small
        L > 0 | R / VOWEL _ CONSONANT            0.4   cold
        R > W / OBSTRUENT _                      0.2   street
        N > NG / _ #                             0.3   man
        M > N / _ #                              0.2   team
        S > & AH / _ T,K,P                       0.2   street
        IH > IY                                  0.6   sit
        IY > IH                                  0.2   team
        AE > EH                                  0.7   man
        UH > UW                                  0.5   book
        OW > AO                                  0.3   go
        EY > EH                                  0.3   late
        AH0 > SPELT                              0.4   banana
    """,
    "russian": """
        W > V                                    0.8   wine
        TH > S | T                               0.7   think
        DH > Z | D                               0.7   this
        B,D,G > P,T,K / _ #                      0.7   bed
        V,Z,ZH,JH > F,S,SH,CH / _ #              0.7   love
        NG > N G / _ #                           0.4   sing
        NG > N                                   0.4   think
        IH > IY                                  0.7   sit
        AE > EH                                  0.8   man
        UH > UW                                  0.6   book
        AH1 > AA                                 0.5   cup
        ER1 > AO R                               0.4   bird
        OW > AO                                  0.5   go
        AH0 > SPELT                              0.2   banana
    """,
    "spanish": """
        V > B                                    0.8   very
        Z > S                                    0.9   zoo
        DH > D                                   0.6   this
        TH > T | S                               0.5   think
        SH > CH                                  0.5   fish
        ZH > SH                                  0.6   vision
        JH > Y | CH                              0.4   just
        Y > JH / # _                             0.3   yes
        S > EH & / # _ P,T,K,M,N,L,W             0.8   street
        T,D > 0 / CONSONANT _ #                  0.5   cold
        D > DH / VOWEL _ VOWEL                   0.3   ready
        D,B,G > T,P,K / _ #                      0.3   bed
        NG > N / _ #                             0.6   sing
        M > N / _ #                              0.4   team
        W > G W / # _                            0.2   wine
        IH > IY                                  0.8   sit
        UH > UW                                  0.8   book
        AE > AA | EH                             0.7   man
        AH1 > AA                                 0.6   cup
        OW > AO                                  0.4   go
        ER > EH R                                0.5   bird
        AH0 > SPELT                              0.7   banana
    """,
    "vietnamese": """
        T,D,S,Z > 0 / CONSONANT _ #              0.8   cold
        S,Z,SH,CH,JH > 0 / _ #                   0.4   fish
        B,D,G > P,T,K / _ #                      0.6   bed
        V,Z > F,S / _ #                          0.5   love
        P,T,K > 0 / _ #                          0.3   book
        L > N | 0 / VOWEL _ CONSONANT,#          0.5   small
        R,L > 0 / OBSTRUENT _                    0.3   street
        S > 0 / # _ P,T,K                        0.3   street
        TH > T                                   0.8   think
        DH > D | Z                               0.8   this
        P > B / # _                              0.4   pen
        SH > S                                   0.3   fish
        CH > SH                                  0.3   chair
        JH > Z                                   0.5   just
        ZH > Z                                   0.5   vision
        IH > IY                                  0.6   sit
        AE > EH                                  0.6   man
        UH > UW                                  0.5   book
        ER > AH                                  0.4   bird
        AH0 > SPELT                              0.5   banana
    """,
}
"""Rules by name of the accent."""
